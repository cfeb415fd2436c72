-- question: How much goes between one host and each of its peers, a row a peer and each flow counted once?
-- param host: address | the host
-- param limit: int = 500 | rows at most
-- fields: interface_id srcaddr dstaddr packets bytes start end action log_status
-- optional: interface_type pkt_srcaddr pkt_dstaddr
-- column peer: str | the other end
-- column interface_id: str | the one interface whose counts these are: of those that saw the pair, the one with most packets
-- column interfaces: int | interfaces that saw the pair
-- column bytes_to_host: int | bytes
-- column bytes_from_host: int | bytes
-- column packets_to_host: int | packets
-- column packets_from_host: int | packets
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: What a NAT gateway repeats is left out where interface-type or the pkt- fields tell; without them use host_bytes of investigate.flow_logs, which knows its address.
WITH sides AS (
  SELECT
    interface_id, packets, bytes, "start", "end",
    CASE WHEN dstaddr = :host OR pkt_dstaddr = :host THEN 1 ELSE 0 END AS to_host,
    CASE
      WHEN dstaddr = :host OR pkt_dstaddr = :host THEN COALESCE(NULLIF(pkt_srcaddr, '-'), srcaddr)
      ELSE COALESCE(NULLIF(pkt_dstaddr, '-'), dstaddr)
    END AS peer
  FROM flows
  WHERE log_status = 'OK' AND action = 'ACCEPT' AND (srcaddr = :host OR dstaddr = :host OR pkt_srcaddr = :host OR pkt_dstaddr = :host)
    AND COALESCE(interface_type, '-') NOT IN ('nat_gateway', 'regional_nat_gateway')
),
pairs AS (
  SELECT
    peer, interface_id,
    SUM(CASE WHEN to_host = 1 THEN bytes ELSE 0 END) AS bytes_to_host,
    SUM(CASE WHEN to_host = 0 THEN bytes ELSE 0 END) AS bytes_from_host,
    SUM(CASE WHEN to_host = 1 THEN packets ELSE 0 END) AS packets_to_host,
    SUM(CASE WHEN to_host = 0 THEN packets ELSE 0 END) AS packets_from_host,
    MIN("start") AS first_seen,
    MAX("end") AS last_seen
  FROM sides
  GROUP BY peer, interface_id
),
ranked AS (
  SELECT
    *,
    COUNT(*) OVER (PARTITION BY peer) AS interfaces,
    ROW_NUMBER() OVER (PARTITION BY peer ORDER BY packets_to_host + packets_from_host DESC, interface_id) AS place
  FROM pairs
)
SELECT
  peer, interface_id, interfaces,
  CAST(bytes_to_host AS bigint) AS bytes_to_host,
  CAST(bytes_from_host AS bigint) AS bytes_from_host,
  CAST(packets_to_host AS bigint) AS packets_to_host,
  CAST(packets_from_host AS bigint) AS packets_from_host,
  first_seen, last_seen
FROM ranked
WHERE place = 1
ORDER BY ranked.bytes_to_host + ranked.bytes_from_host DESC, peer
LIMIT :limit
