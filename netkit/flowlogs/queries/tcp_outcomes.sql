-- question: How do TCP connections to each server end?
-- param limit: int = 200 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol tcp_flags start end action log_status
-- column server: str | server address
-- column server_port: int | server port
-- column interface_id: str | the interface whose counts these are
-- column connections: int | distinct client addresses and ports that sent a SYN
-- column established: int | with SYN and SYN-ACK
-- column refused: int | answered by RST and no SYN-ACK
-- column rejected: int | the request or its reply rejected by a rule
-- column unanswered: int | SYN, and nothing came back
-- column closed: int | established, and a FIN from either side seen
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: Flags are OR-ed over an aggregation interval; a connection opened before the window shows no SYN and is not counted.
WITH tuples AS (
  SELECT
    interface_id, protocol, srcaddr, dstaddr, srcport, dstport, action,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 4 >= 2 AND tcp_flags % 32 < 16 THEN 1 ELSE 0 END) AS asks,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 4 >= 2 AND tcp_flags % 32 >= 16 THEN 1 ELSE 0 END) AS answers,
    MAX(CASE WHEN tcp_flags % 2 = 1 THEN 1 ELSE 0 END) AS fin,
    MAX(CASE WHEN tcp_flags % 8 >= 4 THEN 1 ELSE 0 END) AS rst,
    MIN("start") AS first_seen, MAX("end") AS last_seen
  FROM flows
  WHERE log_status = 'OK' AND protocol = 6
  GROUP BY interface_id, protocol, srcaddr, dstaddr, srcport, dstport, action
),
-- include: legs
connections AS (
  SELECT
    interface_id, client, client_port, server, server_port,
    MAX(to_server * asks) AS opened,
    MAX(CASE WHEN to_server = 0 AND action = 'ACCEPT' THEN answers ELSE 0 END) AS answered,
    MAX((1 - to_server) * rst) AS reset,
    MAX(1 - to_server) AS any_back,
    MAX(CASE WHEN action = 'REJECT' THEN 1 ELSE 0 END) AS rejected,
    MAX(fin) AS fin,
    MIN(first_seen) AS first_seen,
    MAX(last_seen) AS last_seen
  FROM legs
  GROUP BY interface_id, client, client_port, server, server_port
),
servers AS (
  SELECT
    server, server_port, interface_id,
    COUNT(*) AS connections,
    SUM(CASE WHEN answered = 1 AND rejected = 0 THEN 1 ELSE 0 END) AS established,
    SUM(CASE WHEN answered = 0 AND rejected = 0 AND reset = 1 THEN 1 ELSE 0 END) AS refused,
    SUM(rejected) AS rejected,
    SUM(CASE WHEN any_back = 0 AND rejected = 0 THEN 1 ELSE 0 END) AS unanswered,
    SUM(CASE WHEN answered = 1 AND rejected = 0 AND fin = 1 THEN 1 ELSE 0 END) AS closed,
    MIN(first_seen) AS first_seen,
    MAX(last_seen) AS last_seen
  FROM connections
  WHERE opened = 1
  GROUP BY server, server_port, interface_id
),
ranked AS (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY server, server_port ORDER BY rejected DESC, connections DESC, interface_id) AS place
  FROM servers
)
SELECT
  server, server_port, interface_id, connections,
  CAST(established AS bigint) AS established,
  CAST(refused AS bigint) AS refused,
  CAST(rejected AS bigint) AS rejected,
  CAST(unanswered AS bigint) AS unanswered,
  CAST(closed AS bigint) AS closed,
  first_seen, last_seen
FROM ranked
WHERE place = 1
ORDER BY connections DESC, server, server_port
LIMIT :limit
