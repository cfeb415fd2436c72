-- question: Which of our hosts talk to someone they did not talk to in the baseline?
-- param baseline_start: epoch | start of the baseline, Unix seconds; it ends where the window starts
-- param limit: int = 1000 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status
-- optional: tcp_flags flow_direction
-- column client: str | our host: a private address, or one whose interface sent it out (flow-direction)
-- column server: str | the other end
-- column protocol: int | IANA protocol number
-- column server_port: int | the server's port
-- column known_by: str | how the direction is known: tcp-flags, port (below 1024), fan-in; none where it is not
-- column interface_id: str | the interface whose counts these are
-- column connections: int | distinct client ports
-- column bytes_sent: int | bytes from the client
-- column bytes: int | bytes in both directions
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: New means: not in the baseline. A baseline with gaps makes old acquaintances look new.
WITH tuples AS (
  SELECT
    interface_id, protocol, srcaddr, dstaddr, srcport, dstport, action,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 4 >= 2 AND tcp_flags % 32 < 16 THEN 1 ELSE 0 END) AS asks,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 4 >= 2 AND tcp_flags % 32 >= 16 THEN 1 ELSE 0 END) AS answers,
    MAX(CASE WHEN flow_direction = 'egress' THEN 1 ELSE 0 END) AS leaves,
    SUM(CASE WHEN "start" >= :window_start THEN bytes ELSE 0 END) AS bytes,
    SUM(CASE WHEN "start" >= :window_start THEN packets ELSE 0 END) AS packets,
    MAX(CASE WHEN "start" >= :window_start THEN 1 ELSE 0 END) AS in_window,
    MIN("start") AS first_seen, MAX("end") AS last_seen
  FROM flows
  WHERE log_status = 'OK' AND action = 'ACCEPT' AND srcport <> dstport AND "start" >= :baseline_start
  GROUP BY interface_id, protocol, srcaddr, dstaddr, srcport, dstport, action
),
-- include: legs
counted AS (
  SELECT
    client, server, protocol, server_port, interface_id,
    MAX(CASE WHEN known_by = 'none' THEN '' ELSE known_by END) AS known_by,
    COUNT(DISTINCT CASE WHEN in_window = 1 THEN client_port END) AS connections,
    SUM(CASE WHEN to_server = 1 THEN bytes ELSE 0 END) AS bytes_sent,
    SUM(bytes) AS bytes,
    SUM(packets) AS packets,
    MAX(CASE WHEN to_server = 1 AND client LIKE '%:%' THEN leaves ELSE 0 END) AS leaves,
    MIN(first_seen) AS first_seen,
    MAX(last_seen) AS last_seen
  FROM legs
  GROUP BY client, server, protocol, server_port, interface_id
),
ranked AS (
  SELECT
    *,
    MIN(first_seen) OVER (PARTITION BY client, server, protocol, server_port) AS ever,
    MAX(leaves) OVER (PARTITION BY client, server, protocol, server_port) AS ours,
    ROW_NUMBER() OVER (PARTITION BY client, server, protocol, server_port ORDER BY packets DESC, interface_id) AS place
  FROM counted
)
SELECT
  client, server, protocol, server_port,
  CASE WHEN known_by = '' THEN 'none' ELSE known_by END AS known_by,
  interface_id, connections,
  CAST(bytes_sent AS bigint) AS bytes_sent,
  CAST(bytes AS bigint) AS bytes,
  first_seen, last_seen
FROM ranked
WHERE place = 1 AND ever >= :window_start AND (ours = 1 OR (client LIKE '10.%' OR client LIKE '192.168.%' OR client LIKE 'fd%'
    OR (client LIKE '172.%' AND TRY_CAST(split_part(client, '.', 2) AS integer) BETWEEN 16 AND 31)
    OR (client LIKE '100.%' AND TRY_CAST(split_part(client, '.', 2) AS integer) BETWEEN 64 AND 127)))
ORDER BY ranked.bytes DESC, client, server, protocol, server_port
LIMIT :limit
