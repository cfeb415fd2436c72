-- question: With whom does one host talk, and what of it is rejected?
-- param host: address | the host
-- param limit: int = 500 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status
-- column interface_id: str | interface
-- column peer: str | the other end
-- column direction: str | from host or to host
-- column protocol: int | IANA protocol number
-- column server_port: int | the lower port
-- column action: str | ACCEPT or REJECT
-- column packets: int | packets
-- column bytes: int | bytes
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
SELECT
  interface_id,
  CASE WHEN srcaddr = :host THEN dstaddr ELSE srcaddr END AS peer,
  CASE WHEN srcaddr = :host THEN 'from host' ELSE 'to host' END AS direction,
  protocol,
  LEAST(srcport, dstport) AS server_port,
  action,
  CAST(SUM(packets) AS bigint) AS packets,
  CAST(SUM(bytes) AS bigint) AS bytes,
  MIN("start") AS first_seen,
  MAX("end") AS last_seen
FROM flows
WHERE log_status = 'OK' AND (srcaddr = :host OR dstaddr = :host)
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY bytes DESC, interface_id, peer, direction, protocol, server_port, action
LIMIT :limit
