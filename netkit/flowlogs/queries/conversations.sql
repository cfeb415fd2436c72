-- question: Who talks to whom, each conversation once and both directions together?
-- param limit: int = 100000 | rows at most, most bytes first
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status
-- optional: tcp_flags
-- column client: str | who asked
-- column server: str | who was asked
-- column protocol: int | IANA protocol number
-- column server_port: int | the server's port
-- column known_by: str | how the direction is known: tcp-flags, port (below 1024), fan-in, time; none where it is not
-- column interface_id: str | the one interface whose counts these are: of those that saw it, the one with most packets
-- column interfaces: int | interfaces that saw it
-- column connections: int | distinct client ports
-- column bytes_out: int | bytes from client to server
-- column bytes_back: int | bytes from server to client
-- column packets_out: int | packets from client to server
-- column packets_back: int | packets from server to client
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: Where known_by is none, nothing says who asked: the lower port stands for the server's, and it may be the other way round.
-- note: A NAT gateway or load balancer ends one conversation and begins another, since its interface logs its own address.
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
per_interface AS (
  SELECT
    client, server, protocol, server_port, interface_id,
    MAX(CASE WHEN known_by = 'none' THEN '' ELSE known_by END) AS known_by,
    COUNT(DISTINCT client_port) AS connections,
    SUM(CASE WHEN to_server = 1 THEN bytes ELSE 0 END) AS bytes_out,
    SUM(CASE WHEN to_server = 0 THEN bytes ELSE 0 END) AS bytes_back,
    SUM(CASE WHEN to_server = 1 THEN packets ELSE 0 END) AS packets_out,
    SUM(CASE WHEN to_server = 0 THEN packets ELSE 0 END) AS packets_back,
    MIN(first_seen) AS first_seen,
    MAX(last_seen) AS last_seen
  FROM legs
  WHERE action = 'ACCEPT'
  GROUP BY client, server, protocol, server_port, interface_id
),
ranked AS (
  SELECT
    *,
    COUNT(*) OVER (PARTITION BY client, server, protocol, server_port) AS interfaces,
    ROW_NUMBER() OVER (
      PARTITION BY client, server, protocol, server_port ORDER BY packets_out + packets_back DESC, interface_id
    ) AS place
  FROM per_interface
)
SELECT
  client, server, protocol, server_port,
  CASE WHEN known_by = '' THEN 'none' ELSE known_by END AS known_by,
  interface_id, interfaces, connections,
  CAST(bytes_out AS bigint) AS bytes_out,
  CAST(bytes_back AS bigint) AS bytes_back,
  CAST(packets_out AS bigint) AS packets_out,
  CAST(packets_back AS bigint) AS packets_back,
  first_seen, last_seen
FROM ranked
WHERE place = 1
ORDER BY ranked.bytes_out + ranked.bytes_back DESC, client, server, protocol, server_port
LIMIT :limit
