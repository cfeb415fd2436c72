-- question: Which connections to a port failed, how, and since when?
-- param server_port: port = 443 | the port asked for
-- param peer: word = any | only connections with this address at either end; any for all
-- param since: epoch = 0 | only what was first seen from then on, Unix seconds
-- param limit: int = 1000 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol start end action log_status
-- optional: tcp_flags
-- column client: str | who asked
-- column server: str | who was asked
-- column protocol: int | IANA protocol number
-- column server_port: int | the port
-- column known_by: str | how the direction is known: tcp-flags, port (below 1024), fan-in; none where it is not
-- column connections: int | distinct client ports
-- column failed: int | of them: the sum of the next four
-- column rejected: int | the request was rejected at some interface, and no reply was accepted
-- column reply_rejected: int | the reply was rejected, and none was accepted
-- column refused: int | answered by RST and no SYN-ACK (known with tcp-flags only)
-- column unanswered: int | the request was accepted, and no reply is in the log
-- column first_seen: int | Unix seconds, of the failed ones
-- column last_seen: int | Unix seconds, of the failed ones
-- note: One connection is one client port, over all interfaces together. unanswered counts one-way protocols such as syslog too, and hosts whose way back is not logged.
-- note: Packets that came after a close do not make a connection fail: it had accepted replies.
WITH tuples AS (
  SELECT
    interface_id, protocol, srcaddr, dstaddr, srcport, dstport, action,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 4 >= 2 AND tcp_flags % 32 < 16 THEN 1 ELSE 0 END) AS asks,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 4 >= 2 AND tcp_flags % 32 >= 16 THEN 1 ELSE 0 END) AS answers,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 8 >= 4 THEN 1 ELSE 0 END) AS rst,
    COUNT(*) AS records, MIN("start") AS first_seen, MAX("end") AS last_seen
  FROM flows
  WHERE log_status = 'OK'
  GROUP BY interface_id, protocol, srcaddr, dstaddr, srcport, dstport, action
),
-- include: legs
connections AS (
  SELECT
    protocol, client, server, server_port, client_port,
    MAX(CASE WHEN known_by = 'none' THEN '' ELSE known_by END) AS known_by,
    MAX(CASE WHEN to_server = 1 AND action = 'REJECT' THEN 1 ELSE 0 END) AS request_rejected,
    MAX(CASE WHEN to_server = 0 AND action = 'REJECT' THEN 1 ELSE 0 END) AS back_rejected,
    MAX(CASE WHEN to_server = 0 AND action = 'ACCEPT' THEN 1 ELSE 0 END) AS back_accepted,
    MAX(CASE WHEN to_server = 0 AND action = 'ACCEPT' THEN answers ELSE 0 END) AS answered,
    MAX(CASE WHEN to_server = 0 AND action = 'ACCEPT' THEN rst ELSE 0 END) AS back_reset,
    MAX(CASE WHEN to_server = 1 THEN asks ELSE 0 END) AS asked,
    MAX(CASE WHEN to_server = 1 THEN 1 ELSE 0 END) AS there,
    MIN(first_seen) AS first_seen,
    MAX(last_seen) AS last_seen
  FROM legs
  WHERE server_port = :server_port AND (:peer = 'any' OR client = :peer OR server = :peer)
  GROUP BY protocol, client, server, server_port, client_port
),
outcomes AS (
  SELECT
    *,
    CASE
      WHEN request_rejected = 1 AND back_accepted = 0 THEN 'rejected'
      WHEN back_rejected = 1 AND back_accepted = 0 THEN 'reply_rejected'
      WHEN asked = 1 AND back_reset = 1 AND answered = 0 THEN 'refused'
      WHEN there = 1 AND back_accepted = 0 THEN 'unanswered'
      ELSE 'open'
    END AS outcome
  FROM connections
  WHERE first_seen >= :since
)
SELECT
  client, server, protocol, server_port,
  CASE WHEN MAX(known_by) = '' THEN 'none' ELSE MAX(known_by) END AS known_by,
  COUNT(*) AS connections,
  CAST(SUM(CASE WHEN outcome = 'open' THEN 0 ELSE 1 END) AS bigint) AS failed,
  CAST(SUM(CASE WHEN outcome = 'rejected' THEN 1 ELSE 0 END) AS bigint) AS rejected,
  CAST(SUM(CASE WHEN outcome = 'reply_rejected' THEN 1 ELSE 0 END) AS bigint) AS reply_rejected,
  CAST(SUM(CASE WHEN outcome = 'refused' THEN 1 ELSE 0 END) AS bigint) AS refused,
  CAST(SUM(CASE WHEN outcome = 'unanswered' THEN 1 ELSE 0 END) AS bigint) AS unanswered,
  MIN(CASE WHEN outcome <> 'open' THEN first_seen END) AS first_seen,
  MAX(CASE WHEN outcome <> 'open' THEN last_seen END) AS last_seen
FROM outcomes
GROUP BY client, server, protocol, server_port
HAVING SUM(CASE WHEN outcome = 'open' THEN 0 ELSE 1 END) > 0
ORDER BY failed DESC, client, server, protocol, server_port
LIMIT :limit
