-- question: Which interface probes one NodePort of several hosts at a fixed beat, as a load balancer's health checks do?
-- param min_targets: int = 2 | hosts that are probed on the same port
-- param min_checks: int = 10 | probes of each host at least
-- param limit: int = 200 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status
-- optional: tcp_flags instance_id
-- column interface_id: str | interface that probes
-- column client: str | its address
-- column server_port: int | the NodePort (Kubernetes: 30000-32767)
-- column targets: int | hosts probed
-- column checks: int | connections
-- column packets_per_check: float | packets a connection, the same for all
-- note: Fixed beat means: no host is probed over a quarter more often than another, and every probe has the same packets.
WITH tuples AS (
  SELECT
    interface_id, protocol, srcaddr, dstaddr, srcport, dstport, action,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 4 >= 2 AND tcp_flags % 32 < 16 THEN 1 ELSE 0 END) AS asks,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 4 >= 2 AND tcp_flags % 32 >= 16 THEN 1 ELSE 0 END) AS answers,
    MAX(instance_id) AS instance_id,
    COUNT(*) AS records, SUM(packets) AS packets, SUM(bytes) AS bytes, MIN("start") AS first_seen, MAX("end") AS last_seen
  FROM flows
  WHERE log_status = 'OK'
  GROUP BY interface_id, protocol, srcaddr, dstaddr, srcport, dstport, action
),
-- include: legs
probes AS (
  SELECT interface_id, client, server, server_port, client_port, SUM(packets) AS packets
  FROM legs
  WHERE action = 'ACCEPT' AND protocol = 6 AND to_server = 1 AND known_by <> 'none' AND server_port BETWEEN 30000 AND 32767
    AND COALESCE(instance_id, '-') = '-'
  GROUP BY interface_id, client, server, server_port, client_port
),
hosts AS (
  SELECT interface_id, client, server, server_port, COUNT(*) AS checks, SUM(packets) AS packets, MIN(packets) AS least, MAX(packets) AS most
  FROM probes
  GROUP BY interface_id, client, server, server_port
)
SELECT
  interface_id, client, server_port,
  COUNT(*) AS targets,
  CAST(SUM(checks) AS bigint) AS checks,
  CAST(SUM(packets) AS double) / SUM(checks) AS packets_per_check
FROM hosts
GROUP BY interface_id, client, server_port
HAVING COUNT(*) >= :min_targets AND MIN(checks) >= :min_checks AND MAX(checks) * 4 <= MIN(checks) * 5
  AND MAX(most) <= 8 AND SUM(packets) <= SUM(checks) * (MIN(least) + 1)
ORDER BY checks DESC, interface_id, client, server_port
LIMIT :limit
