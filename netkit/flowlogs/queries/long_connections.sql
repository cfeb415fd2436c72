-- question: Which connections live long, over all interfaces?
-- param min_seconds: seconds = 3600 | seconds from the first to the last record
-- param limit: int = 200 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status
-- optional: tcp_flags
-- column client: str | who asked
-- column server: str | who was asked
-- column protocol: int | IANA protocol number
-- column server_port: int | the server's port
-- column client_port: int | the client's port
-- column known_by: str | how the direction is known; none where it is not
-- column interface_id: str | the one interface whose counts these are: of those that saw it, the one with most packets
-- column interfaces: int | interfaces that saw it
-- column seconds: int | seconds from the first to the last record at any interface
-- column bytes: int | bytes, both directions
-- column packets: int | packets
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: A client port that is used again within the window looks like one long connection; a connection may be older and go on longer than the window.
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
    MAX(known_by) AS known_by,
    SUM(bytes) AS bytes,
    SUM(packets) AS packets,
    MIN(first_seen) AS first_seen,
    MAX(last_seen) AS last_seen
  FROM legs
  WHERE action = 'ACCEPT' AND protocol IN (6, 17, 132)
  GROUP BY protocol, client, server, server_port, client_port, interface_id
),
ranked AS (
  SELECT
    *,
    COUNT(*) OVER (PARTITION BY protocol, client, server, server_port, client_port) AS interfaces,
    MIN(first_seen) OVER (PARTITION BY protocol, client, server, server_port, client_port) AS since,
    MAX(last_seen) OVER (PARTITION BY protocol, client, server, server_port, client_port) AS until,
    ROW_NUMBER() OVER (PARTITION BY protocol, client, server, server_port, client_port ORDER BY packets DESC, interface_id) AS place
  FROM sighted
)
SELECT
  client, server, protocol, server_port, client_port, known_by, interface_id, interfaces,
  until - since AS seconds,
  CAST(bytes AS bigint) AS bytes,
  CAST(packets AS bigint) AS packets,
  since AS first_seen,
  until AS last_seen
FROM ranked
WHERE place = 1 AND until - since >= :min_seconds
ORDER BY seconds DESC, client, server, protocol, server_port, client_port
LIMIT :limit
