-- question: Which of our hosts talk to someone they did not talk to in the baseline?
-- param baseline_start: epoch | start of the baseline, Unix seconds; it ends where the window starts
-- param limit: int = 1000 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status
-- column client: str | our host (a private address): the end with the higher port
-- column server: str | the other end
-- column protocol: int | IANA protocol number
-- column server_port: int | the lower port
-- column interface_id: str | the interface whose counts these are
-- column connections: int | distinct client ports
-- column bytes_sent: int | bytes from the client
-- column bytes: int | bytes in both directions
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: New means: not in the baseline. A baseline with gaps makes old acquaintances look new.
WITH sides AS (
  SELECT
    interface_id, protocol, packets, bytes, "start", "end",
    CASE WHEN dstport < srcport THEN srcaddr ELSE dstaddr END AS client,
    CASE WHEN dstport < srcport THEN dstaddr ELSE srcaddr END AS server,
    CASE WHEN dstport < srcport THEN bytes ELSE 0 END AS bytes_sent,
    LEAST(srcport, dstport) AS server_port,
    GREATEST(srcport, dstport) AS client_port
  FROM flows
  WHERE log_status = 'OK' AND action = 'ACCEPT' AND srcport <> dstport
),
ours AS (
  SELECT *
  FROM sides
  WHERE (client LIKE '10.%' OR client LIKE '192.168.%' OR client LIKE 'fd%'
    OR (client LIKE '172.%' AND TRY_CAST(split_part(client, '.', 2) AS integer) BETWEEN 16 AND 31)
    OR (client LIKE '100.%' AND TRY_CAST(split_part(client, '.', 2) AS integer) BETWEEN 64 AND 127))
),
counted AS (
  SELECT
    client, server, protocol, server_port, interface_id,
    COUNT(DISTINCT CASE WHEN "start" >= :window_start THEN client_port END) AS connections,
    SUM(CASE WHEN "start" >= :window_start THEN bytes_sent ELSE 0 END) AS bytes_sent,
    SUM(CASE WHEN "start" >= :window_start THEN bytes ELSE 0 END) AS bytes,
    SUM(CASE WHEN "start" >= :window_start THEN packets ELSE 0 END) AS packets,
    MIN("start") AS first_seen,
    MAX("end") AS last_seen
  FROM ours
  WHERE "start" >= :baseline_start
  GROUP BY client, server, protocol, server_port, interface_id
),
ranked AS (
  SELECT
    *,
    MIN(first_seen) OVER (PARTITION BY client, server, protocol, server_port) AS ever,
    ROW_NUMBER() OVER (PARTITION BY client, server, protocol, server_port ORDER BY packets DESC, interface_id) AS place
  FROM counted
)
SELECT
  client, server, protocol, server_port, interface_id, connections,
  CAST(bytes_sent AS bigint) AS bytes_sent,
  CAST(bytes AS bigint) AS bytes,
  first_seen, last_seen
FROM ranked
WHERE place = 1 AND ever >= :window_start
ORDER BY bytes DESC, client, server, protocol, server_port
LIMIT :limit
