-- question: Which connections go out by one interface and come back by another?
-- param limit: int = 200 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status
-- optional: tcp_flags
-- column client: str | who asked
-- column server: str | who was asked
-- column protocol: int | IANA protocol number
-- column server_port: int | the server's port
-- column out_interface: str | the interface that saw only what went to the server
-- column back_interface: str | the interface that saw only what came back
-- column connections: int | distinct client ports
-- column bytes_out: int | bytes to the server
-- column bytes_back: int | bytes from the server
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: Both directions are in the log and no interface saw both: stateful appliances and security groups see half of it. A connection that one interface saw whole is left out.
WITH tuples AS (
  SELECT
    interface_id, protocol, srcaddr, dstaddr, srcport, dstport, action,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 4 >= 2 AND tcp_flags % 32 < 16 THEN 1 ELSE 0 END) AS asks,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 4 >= 2 AND tcp_flags % 32 >= 16 THEN 1 ELSE 0 END) AS answers,
    COUNT(*) AS records, SUM(packets) AS packets, SUM(bytes) AS bytes, MIN("start") AS first_seen, MAX("end") AS last_seen
  FROM flows
  WHERE log_status = 'OK'
  GROUP BY interface_id, protocol, srcaddr, dstaddr, srcport, dstport, action
),
-- include: legs
sighted AS (
  SELECT
    protocol, client, server, server_port, client_port, interface_id,
    SUM(CASE WHEN to_server = 1 THEN bytes ELSE 0 END) AS bytes_out,
    SUM(CASE WHEN to_server = 0 THEN bytes ELSE 0 END) AS bytes_back,
    MAX(to_server) AS saw_out,
    MAX(1 - to_server) AS saw_back,
    MIN(first_seen) AS first_seen,
    MAX(last_seen) AS last_seen
  FROM legs
  WHERE action = 'ACCEPT'
  GROUP BY protocol, client, server, server_port, client_port, interface_id
),
connections AS (
  SELECT
    protocol, client, server, server_port, client_port,
    MIN(CASE WHEN saw_out = 1 THEN interface_id END) AS out_interface,
    MIN(CASE WHEN saw_back = 1 THEN interface_id END) AS back_interface,
    MAX(bytes_out) AS bytes_out,
    MAX(bytes_back) AS bytes_back,
    MIN(first_seen) AS first_seen,
    MAX(last_seen) AS last_seen
  FROM sighted
  GROUP BY protocol, client, server, server_port, client_port
  HAVING MAX(saw_out * saw_back) = 0 AND MAX(saw_out) = 1 AND MAX(saw_back) = 1
)
SELECT
  client, server, protocol, server_port, out_interface, back_interface,
  COUNT(*) AS connections,
  CAST(SUM(bytes_out) AS bigint) AS bytes_out,
  CAST(SUM(bytes_back) AS bigint) AS bytes_back,
  MIN(first_seen) AS first_seen,
  MAX(last_seen) AS last_seen
FROM connections
GROUP BY client, server, protocol, server_port, out_interface, back_interface
ORDER BY connections DESC, client, server, protocol, server_port, out_interface, back_interface
LIMIT :limit
