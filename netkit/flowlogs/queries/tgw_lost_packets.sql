-- question: What did the transit gateway lose, why, and from which attachment?
-- param limit: int = 200 | rows at most
-- fields: tgw_attachment_id srcaddr dstaddr packets packets_lost_no_route packets_lost_blackhole packets_lost_mtu_exceeded packets_lost_ttl_expired start end log_status
-- column tgw_attachment_id: str | attachment that the packets came by
-- column cause: str | no-route, blackhole, mtu-exceeded or ttl-expired
-- column packets_lost: int | packets lost for that cause
-- column packets: int | packets of the same records
-- column flows: int | flow records with a loss
-- column pairs: int | distinct pairs of addresses
-- column srcaddr: str | the pair that lost most: its source
-- column dstaddr: str | its destination
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: Transit Gateway flow logs only (version 6).
WITH causes AS (
  SELECT
    tgw_attachment_id, srcaddr, dstaddr, packets, "start", "end",
    CASE place WHEN 1 THEN 'no-route' WHEN 2 THEN 'blackhole' WHEN 3 THEN 'mtu-exceeded' ELSE 'ttl-expired' END AS cause,
    CASE place
      WHEN 1 THEN packets_lost_no_route
      WHEN 2 THEN packets_lost_blackhole
      WHEN 3 THEN packets_lost_mtu_exceeded
      ELSE packets_lost_ttl_expired
    END AS lost
  FROM flows
  CROSS JOIN (VALUES (1), (2), (3), (4)) AS places (place)
  WHERE log_status = 'OK'
),
pairs AS (
  SELECT
    tgw_attachment_id, cause, srcaddr, dstaddr,
    SUM(lost) AS packets_lost, SUM(packets) AS packets, COUNT(*) AS flows, MIN("start") AS first_seen, MAX("end") AS last_seen
  FROM causes
  WHERE lost > 0
  GROUP BY tgw_attachment_id, cause, srcaddr, dstaddr
),
ranked AS (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY tgw_attachment_id, cause ORDER BY packets_lost DESC, srcaddr, dstaddr) AS place
  FROM pairs
)
SELECT
  tgw_attachment_id, cause,
  CAST(SUM(packets_lost) AS bigint) AS packets_lost,
  CAST(SUM(packets) AS bigint) AS packets,
  CAST(SUM(flows) AS bigint) AS flows,
  COUNT(*) AS pairs,
  MAX(CASE WHEN place = 1 THEN srcaddr END) AS srcaddr,
  MAX(CASE WHEN place = 1 THEN dstaddr END) AS dstaddr,
  MIN(first_seen) AS first_seen,
  MAX(last_seen) AS last_seen
FROM ranked
GROUP BY tgw_attachment_id, cause
ORDER BY packets_lost DESC, tgw_attachment_id, cause
LIMIT :limit
