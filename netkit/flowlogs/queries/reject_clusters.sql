-- question: Who is rejected at which target and port, and was the same ever accepted there?
-- param limit: int = 20000 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status
-- optional: tcp_flags pkt_dstaddr reject_reason flow_direction
-- column srcaddr: str | source address
-- column dstaddr: str | destination address
-- column protocol: int | IANA protocol number
-- column leg: str | request, reply, or unknown
-- column port: int | the service's port: the destination's of a request, the source's of a reply; 0 for protocols without ports
-- column known_by: str | how the direction is known: tcp-flags, port (below 1024), fan-in, time; none where it is not
-- column interface_id: str | interface that rejected it
-- column rejected: int | rejected flow records
-- column rejected_packets: int | rejected packets
-- column rejected_bytes: int | rejected bytes
-- column attempts: int | distinct client ports
-- column late: int | of the rejected records, those that look like packets after a close: a FIN or RST without SYN, or few packets after the same was accepted
-- column accepted: int | accepted flow records of the same kind at the same interface
-- column accepted_until: int | end of the last accepted one, Unix seconds
-- column reason: str | reject-reason: BPA (VPC Block Public Access), EC (encryption controls); none otherwise
-- column meant: str | pkt-dstaddr where it differs: the address that the packets were sent to
-- column direction: str | flow-direction of the rejected ones; none without that field
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: accepted counts at the interface that rejected: the sender's own interface accepts what the target's rejects.
WITH tuples AS (
  SELECT
    interface_id, protocol, srcaddr, dstaddr, srcport, dstport, action,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 4 >= 2 AND tcp_flags % 32 < 16 THEN 1 ELSE 0 END) AS asks,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 4 >= 2 AND tcp_flags % 32 >= 16 THEN 1 ELSE 0 END) AS answers,
    MAX(CASE WHEN protocol = 6 AND (tcp_flags % 2 = 1 OR tcp_flags % 8 >= 4) THEN 1 ELSE 0 END) AS closes,
    MAX(NULLIF(reject_reason, '-')) AS reason,
    MAX(CASE WHEN pkt_dstaddr <> dstaddr THEN NULLIF(pkt_dstaddr, '-') END) AS meant,
    MAX(NULLIF(flow_direction, '-')) AS direction,
    COUNT(*) AS records, SUM(packets) AS packets, SUM(bytes) AS bytes, MIN("start") AS first_seen, MAX("end") AS last_seen
  FROM flows
  WHERE log_status = 'OK'
  GROUP BY interface_id, protocol, srcaddr, dstaddr, srcport, dstport, action
),
-- include: legs
sided AS (
  SELECT
    *,
    MIN(CASE WHEN action = 'ACCEPT' THEN first_seen END) OVER (
      PARTITION BY interface_id, protocol, srcaddr, dstaddr, srcport, dstport
    ) AS accepted_since
  FROM legs
),
marked AS (
  SELECT
    *,
    CASE
      WHEN action = 'REJECT' AND protocol = 6 AND asks = 0 AND answers = 0
       AND (closes = 1 OR (accepted_since <= first_seen AND packets <= 8)) THEN records
      ELSE 0
    END AS late_records
  FROM sided
),
counted AS (
  SELECT
    srcaddr, dstaddr, protocol, leg, server_port AS port, interface_id,
    MAX(CASE WHEN known_by = 'none' THEN '' ELSE known_by END) AS known_by,
    SUM(CASE WHEN action = 'REJECT' THEN records ELSE 0 END) AS rejected,
    SUM(CASE WHEN action = 'REJECT' THEN packets ELSE 0 END) AS rejected_packets,
    SUM(CASE WHEN action = 'REJECT' THEN bytes ELSE 0 END) AS rejected_bytes,
    COUNT(DISTINCT CASE WHEN action = 'REJECT' THEN client_port END) AS attempts,
    SUM(late_records) AS late,
    SUM(CASE WHEN action = 'ACCEPT' THEN records ELSE 0 END) AS accepted,
    MAX(CASE WHEN action = 'ACCEPT' THEN last_seen END) AS accepted_until,
    MAX(CASE WHEN action = 'REJECT' THEN reason END) AS reason,
    MAX(CASE WHEN action = 'REJECT' THEN meant END) AS meant,
    MAX(CASE WHEN action = 'REJECT' THEN direction END) AS direction,
    MIN(CASE WHEN action = 'REJECT' THEN first_seen END) AS first_seen,
    MAX(CASE WHEN action = 'REJECT' THEN last_seen END) AS last_seen
  FROM marked
  GROUP BY srcaddr, dstaddr, protocol, leg, server_port, interface_id
)
SELECT
  srcaddr, dstaddr, protocol, leg, port,
  CASE WHEN known_by = '' THEN 'none' ELSE known_by END AS known_by,
  interface_id,
  CAST(rejected AS bigint) AS rejected,
  CAST(rejected_packets AS bigint) AS rejected_packets,
  CAST(rejected_bytes AS bigint) AS rejected_bytes,
  attempts,
  CAST(late AS bigint) AS late,
  CAST(accepted AS bigint) AS accepted,
  accepted_until, reason, meant, direction, first_seen, last_seen
FROM counted
WHERE rejected > 0
ORDER BY counted.rejected DESC, srcaddr, dstaddr, protocol, leg, port, interface_id
LIMIT :limit
