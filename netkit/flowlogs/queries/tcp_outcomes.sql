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
WITH ends AS (
  SELECT
    interface_id,
    CASE WHEN dstport < srcport THEN srcaddr ELSE dstaddr END AS client,
    CASE WHEN dstport < srcport THEN srcport ELSE dstport END AS client_port,
    CASE WHEN dstport < srcport THEN dstaddr ELSE srcaddr END AS server,
    LEAST(srcport, dstport) AS server_port,
    CASE WHEN dstport < srcport THEN 1 ELSE 0 END AS to_server,
    CASE WHEN COALESCE(tcp_flags, 0) % 4 >= 2 THEN 1 ELSE 0 END AS syn,
    COALESCE(tcp_flags, 0) % 2 AS fin,
    CASE WHEN COALESCE(tcp_flags, 0) % 8 >= 4 THEN 1 ELSE 0 END AS rst,
    CASE WHEN action = 'REJECT' THEN 1 ELSE 0 END AS rejected,
    "start", "end"
  FROM flows
  WHERE log_status = 'OK' AND protocol = 6 AND srcport <> dstport
),
connections AS (
  SELECT
    interface_id, client, client_port, server, server_port,
    MAX(to_server * syn) AS opened,
    MAX((1 - to_server) * syn * (1 - rejected)) AS answered,
    MAX((1 - to_server) * rst) AS reset,
    MAX(1 - to_server) AS any_back,
    MAX(rejected) AS rejected,
    MAX(fin) AS fin,
    MIN("start") AS first_seen,
    MAX("end") AS last_seen
  FROM ends
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
