-- Who asked whom. Reads `tuples`, whose rows have protocol, srcaddr, dstaddr, srcport, dstport, asks (1: a SYN without ACK was seen),
-- answers (1: a SYN-ACK) and first_seen, and adds to each row:
--   leg      request, reply, or unknown
--   known_by tcp-flags  this connection's, or others' to the same port
--            port       one port is below 1024: hosts, load balancers and NAT gateways ask from 1024-65535 (only NFS clients do not)
--            fan-in     one end sees three or more ports of the other, which sees at most half as many
--            time       ICMP and other protocols without ports: who came first
--            none       the lower port then stands for the server's, so that both directions stay together
--   client, server, server_port, client_port
-- A record does not say who began (RFC 9293: a SYN without ACK is a request), so a connection is judged by all its records.
ways AS (
  SELECT *, CASE WHEN srcaddr < dstaddr OR (srcaddr = dstaddr AND srcport <= dstport) THEN 1 ELSE 0 END AS up FROM tuples
),
fans AS (
  SELECT
    *,
    LEAST(srcaddr, dstaddr) AS low_addr,
    GREATEST(srcaddr, dstaddr) AS high_addr,
    CASE WHEN up = 1 THEN srcport ELSE dstport END AS low_port,
    CASE WHEN up = 1 THEN dstport ELSE srcport END AS high_port,
    MAX(asks) OVER (PARTITION BY protocol, dstaddr, dstport) AS asked_there,
    MAX(answers) OVER (PARTITION BY protocol, srcaddr, srcport) AS answers_here,
    DENSE_RANK() OVER (PARTITION BY protocol, srcaddr, srcport ORDER BY dstport)
      + DENSE_RANK() OVER (PARTITION BY protocol, srcaddr, srcport ORDER BY dstport DESC) - 1 AS source_fan,
    DENSE_RANK() OVER (PARTITION BY protocol, dstaddr, dstport ORDER BY srcport)
      + DENSE_RANK() OVER (PARTITION BY protocol, dstaddr, dstport ORDER BY srcport DESC) - 1 AS destination_fan
  FROM ways
),
votes AS (
  SELECT
    *,
    MAX(CASE WHEN (up = 1 AND asks = 1) OR (up = 0 AND answers = 1) THEN 1 ELSE 0 END) OVER (PARTITION BY protocol, low_addr, high_addr, low_port, high_port) AS flags_up,
    MAX(CASE WHEN (up = 1 AND answers = 1) OR (up = 0 AND asks = 1) THEN 1 ELSE 0 END) OVER (PARTITION BY protocol, low_addr, high_addr, low_port, high_port) AS flags_down,
    MAX(CASE WHEN (up = 1 AND asked_there = 1) OR (up = 0 AND answers_here = 1) THEN 1 ELSE 0 END) OVER (PARTITION BY protocol, low_addr, high_addr, low_port, high_port) AS listens_up,
    MAX(CASE WHEN (up = 1 AND answers_here = 1) OR (up = 0 AND asked_there = 1) THEN 1 ELSE 0 END) OVER (PARTITION BY protocol, low_addr, high_addr, low_port, high_port) AS listens_down,
    MAX(CASE WHEN (up = 1 AND destination_fan >= 3 AND destination_fan >= 2 * source_fan) OR (up = 0 AND source_fan >= 3 AND source_fan >= 2 * destination_fan) THEN 1 ELSE 0 END) OVER (PARTITION BY protocol, low_addr, high_addr, low_port, high_port) AS fan_up,
    MAX(CASE WHEN (up = 1 AND source_fan >= 3 AND source_fan >= 2 * destination_fan) OR (up = 0 AND destination_fan >= 3 AND destination_fan >= 2 * source_fan) THEN 1 ELSE 0 END) OVER (PARTITION BY protocol, low_addr, high_addr, low_port, high_port) AS fan_down,
    MIN(CASE WHEN up = 1 THEN first_seen END) OVER (PARTITION BY protocol, low_addr, high_addr, low_port, high_port) AS first_up,
    MIN(CASE WHEN up = 0 THEN first_seen END) OVER (PARTITION BY protocol, low_addr, high_addr, low_port, high_port) AS first_down
  FROM fans
),
judged AS (
  SELECT
    *,
    CASE
      WHEN flags_up <> flags_down OR (flags_up = 0 AND listens_up <> listens_down) THEN 'tcp-flags'
      WHEN protocol NOT IN (6, 17, 132) THEN
        CASE WHEN COALESCE(first_up, first_down + 1) <> COALESCE(first_down, first_up + 1) THEN 'time' ELSE 'none' END
      WHEN (srcport < 1024 AND dstport >= 1024 AND dstport <> 2049) OR (dstport < 1024 AND srcport >= 1024 AND srcport <> 2049) THEN 'port'
      WHEN fan_up <> fan_down THEN 'fan-in'
      ELSE 'none'
    END AS known_by
  FROM votes
),
turned AS (
  SELECT
    *,
    CASE
      WHEN known_by = 'tcp-flags' AND flags_up <> flags_down THEN CASE WHEN flags_up = up THEN 1 ELSE 0 END
      WHEN known_by = 'tcp-flags' THEN CASE WHEN listens_up = up THEN 1 ELSE 0 END
      WHEN known_by = 'fan-in' THEN CASE WHEN fan_up = up THEN 1 ELSE 0 END
      WHEN known_by = 'time' AND COALESCE(first_up, first_down + 1) < COALESCE(first_down, first_up + 1) THEN up
      WHEN known_by = 'time' THEN 1 - up
      WHEN dstport < srcport OR (dstport = srcport AND dstaddr < srcaddr) THEN 1
      ELSE 0
    END AS to_server
  FROM judged
),
legs AS (
  SELECT
    *,
    CASE WHEN known_by = 'none' THEN 'unknown' WHEN to_server = 1 THEN 'request' ELSE 'reply' END AS leg,
    CASE WHEN to_server = 1 THEN srcaddr ELSE dstaddr END AS client,
    CASE WHEN to_server = 1 THEN dstaddr ELSE srcaddr END AS server,
    CASE WHEN to_server = 1 THEN dstport ELSE srcport END AS server_port,
    CASE WHEN to_server = 1 THEN srcport ELSE dstport END AS client_port
  FROM turned
)
