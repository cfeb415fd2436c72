-- question: Where is a request accepted and its reply rejected?
-- param limit: int = 1000 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets start end action log_status
-- column interface_id: str | interface that accepted the request and rejected the reply
-- column client: str | who asked
-- column server: str | who answered
-- column protocol: int | IANA protocol number
-- column server_port: int | port asked for
-- column connections: int | connections with rejected replies
-- column replies_rejected: int | rejected reply packets
-- column replies_accepted: int | accepted reply packets of the same connections
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: The lower port is taken for the server's; a rejected request on a port pair used before is not a rejected reply.
-- note: Security groups are stateful, so a rejected reply means a network ACL (Amazon VPC User Guide, Flow log record examples).
WITH rejected AS (
  SELECT
    interface_id, srcaddr, dstaddr, srcport, dstport, protocol,
    SUM(packets) AS packets, MIN("start") AS first_seen, MAX("end") AS last_seen
  FROM flows
  WHERE log_status = 'OK' AND action = 'REJECT' AND srcport < dstport
  GROUP BY interface_id, srcaddr, dstaddr, srcport, dstport, protocol
),
accepted AS (
  SELECT interface_id, srcaddr, dstaddr, srcport, dstport, protocol, SUM(packets) AS packets
  FROM flows
  WHERE log_status = 'OK' AND action = 'ACCEPT'
  GROUP BY interface_id, srcaddr, dstaddr, srcport, dstport, protocol
)
SELECT
  reply.interface_id,
  reply.dstaddr AS client,
  reply.srcaddr AS server,
  reply.protocol,
  reply.srcport AS server_port,
  COUNT(*) AS connections,
  CAST(SUM(reply.packets) AS bigint) AS replies_rejected,
  CAST(SUM(COALESCE(passed.packets, 0)) AS bigint) AS replies_accepted,
  MIN(reply.first_seen) AS first_seen,
  MAX(reply.last_seen) AS last_seen
FROM rejected AS reply
JOIN accepted AS request
  ON request.interface_id = reply.interface_id AND request.protocol = reply.protocol
  AND request.srcaddr = reply.dstaddr AND request.dstaddr = reply.srcaddr
  AND request.srcport = reply.dstport AND request.dstport = reply.srcport
LEFT JOIN accepted AS passed
  ON passed.interface_id = reply.interface_id AND passed.protocol = reply.protocol
  AND passed.srcaddr = reply.srcaddr AND passed.dstaddr = reply.dstaddr
  AND passed.srcport = reply.srcport AND passed.dstport = reply.dstport
GROUP BY reply.interface_id, reply.dstaddr, reply.srcaddr, reply.protocol, reply.srcport
ORDER BY replies_rejected DESC, interface_id, client, server, protocol, server_port
LIMIT :limit
