-- question: Who talks to whom, each conversation once and both directions together?
-- param limit: int = 100000 | rows at most, most bytes first
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status
-- column client: str | the end with the higher port
-- column server: str | the end with the lower port
-- column protocol: int | IANA protocol number
-- column server_port: int | the lower port
-- column interface_id: str | the one interface whose counts these are: of those that saw it, the one with most packets
-- column interfaces: int | interfaces that saw it
-- column connections: int | distinct client ports
-- column bytes_out: int | bytes from client to server
-- column bytes_back: int | bytes from server to client
-- column packets_out: int | packets from client to server
-- column packets_back: int | packets from server to client
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: The lower port is taken for the server's; a conversation between two high ports may be shown the other way round.
-- note: A NAT gateway or load balancer ends one conversation and begins another, since its interface logs its own address.
WITH sides AS (
  SELECT
    interface_id, protocol, packets, bytes, "start", "end",
    CASE WHEN dstport < srcport OR (dstport = srcport AND dstaddr < srcaddr) THEN 1 ELSE 0 END AS to_server,
    CASE WHEN dstport < srcport OR (dstport = srcport AND dstaddr < srcaddr) THEN srcaddr ELSE dstaddr END AS client,
    CASE WHEN dstport < srcport OR (dstport = srcport AND dstaddr < srcaddr) THEN dstaddr ELSE srcaddr END AS server,
    LEAST(srcport, dstport) AS server_port,
    GREATEST(srcport, dstport) AS client_port
  FROM flows
  WHERE log_status = 'OK' AND action = 'ACCEPT'
),
per_interface AS (
  SELECT
    client, server, protocol, server_port, interface_id,
    COUNT(DISTINCT client_port) AS connections,
    SUM(CASE WHEN to_server = 1 THEN bytes ELSE 0 END) AS bytes_out,
    SUM(CASE WHEN to_server = 0 THEN bytes ELSE 0 END) AS bytes_back,
    SUM(CASE WHEN to_server = 1 THEN packets ELSE 0 END) AS packets_out,
    SUM(CASE WHEN to_server = 0 THEN packets ELSE 0 END) AS packets_back,
    MIN("start") AS first_seen,
    MAX("end") AS last_seen
  FROM sides
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
  client, server, protocol, server_port, interface_id, interfaces, connections,
  CAST(bytes_out AS bigint) AS bytes_out,
  CAST(bytes_back AS bigint) AS bytes_back,
  CAST(packets_out AS bigint) AS packets_out,
  CAST(packets_back AS bigint) AS packets_back,
  first_seen, last_seen
FROM ranked
WHERE place = 1
ORDER BY ranked.bytes_out + ranked.bytes_back DESC, client, server, protocol, server_port
LIMIT :limit
