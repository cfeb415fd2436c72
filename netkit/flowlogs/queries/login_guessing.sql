-- question: Who opens many short connections to a login port?
-- param min_connections: int = 60 | distinct source ports that make guessing
-- param min_packets: float = 7 | packets a connection at least; a check that only opens and closes has fewer
-- param max_packets: float = 40 | packets a connection at most; a session that works is longer
-- param limit: int = 100 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status
-- column srcaddr: str | source address
-- column dstaddr: str | destination address
-- column dstport: int | login port: 21, 22, 23, 3389, 5900 or 5985
-- column interface_id: str | interface
-- column connections: int | distinct source ports, accepted
-- column packets_per_connection: float | packets from the source
-- column bytes: int | bytes from the source
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
SELECT
  srcaddr, dstaddr, dstport, interface_id,
  COUNT(DISTINCT srcport) AS connections,
  CAST(SUM(packets) AS double) / COUNT(DISTINCT srcport) AS packets_per_connection,
  CAST(SUM(bytes) AS bigint) AS bytes,
  MIN("start") AS first_seen,
  MAX("end") AS last_seen
FROM flows
WHERE log_status = 'OK' AND action = 'ACCEPT' AND protocol = 6 AND dstport IN (21, 22, 23, 3389, 5900, 5985)
GROUP BY srcaddr, dstaddr, dstport, interface_id
HAVING COUNT(DISTINCT srcport) >= :min_connections
  AND CAST(SUM(packets) AS double) / COUNT(DISTINCT srcport) BETWEEN :min_packets AND :max_packets
ORDER BY connections DESC, srcaddr, dstaddr, dstport, interface_id
LIMIT :limit
