-- question: Where is a request accepted and its reply rejected?
-- param limit: int = 1000 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets start end action log_status
-- optional: tcp_flags flow_direction
-- column interface_id: str | interface that accepted the request and rejected the reply
-- column client: str | who asked
-- column server: str | who answered
-- column protocol: int | IANA protocol number
-- column server_port: int | port asked for
-- column reply_direction: str | egress where the server's interface rejected, ingress where the client's did; none without flow-direction
-- column connections: int | connections with rejected replies
-- column dead: int | of these, without a single accepted reply: not packets that came after a close
-- column proven: int | of the dead, with their SYN seen, or with a rejected SYN-ACK, or of a protocol that is never closed
-- column replies_rejected: int | rejected reply packets
-- column replies_accepted: int | accepted reply packets of the same connections
-- column client_dead: int | dead connections of this client at this interface, whichever the server
-- column client_answered: int | connections of this client at this interface that were answered since its first dead one, whichever the server
-- column server_dead: int | dead connections of this server and port at this interface, whichever the client
-- column server_answered: int | connections of this server and port at this interface that were answered since its first dead one
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: Security groups are stateful, so a rejected reply means a network ACL (Amazon VPC User Guide, Flow log record examples).
-- note: The record is that of the interface that refuses: at the client's the inbound ACL of its subnet, at the server's the outbound one.
WITH tuples AS (
  SELECT
    interface_id, protocol, srcaddr, dstaddr, srcport, dstport, action,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 4 >= 2 AND tcp_flags % 32 < 16 THEN 1 ELSE 0 END) AS asks,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 4 >= 2 AND tcp_flags % 32 >= 16 THEN 1 ELSE 0 END) AS answers,
    MAX(CASE WHEN protocol = 6 AND tcp_flags IS NULL THEN 1 ELSE 0 END) AS flagless,
    MAX(flow_direction) AS flow_direction,
    COUNT(*) AS records, SUM(packets) AS packets, MIN("start") AS first_seen, MAX("end") AS last_seen
  FROM flows
  WHERE log_status = 'OK'
  GROUP BY interface_id, protocol, srcaddr, dstaddr, srcport, dstport, action
),
-- include: legs
connections AS (
  SELECT
    interface_id, protocol, client, server, server_port, client_port,
    MAX(known_by) AS known_by,
    SUM(CASE WHEN to_server = 1 AND action = 'ACCEPT' THEN packets ELSE 0 END) AS there_accepted,
    SUM(CASE WHEN to_server = 1 AND action = 'REJECT' THEN packets ELSE 0 END) AS there_rejected,
    SUM(CASE WHEN to_server = 0 AND action = 'ACCEPT' THEN packets ELSE 0 END) AS back_accepted,
    SUM(CASE WHEN to_server = 0 AND action = 'REJECT' THEN packets ELSE 0 END) AS back_rejected,
    MAX(CASE WHEN to_server = 1 AND action = 'ACCEPT' THEN asks ELSE 0 END) AS asked,
    MAX(CASE WHEN to_server = 0 AND action = 'REJECT' THEN answers ELSE 0 END) AS answer_rejected,
    MAX(flagless) AS flagless,
    MAX(CASE WHEN to_server = 0 AND action = 'REJECT' THEN NULLIF(flow_direction, '-') END) AS back_direction,
    MAX(CASE WHEN to_server = 1 AND action = 'REJECT' THEN NULLIF(flow_direction, '-') END) AS there_direction,
    MIN(first_seen) AS began,
    MIN(CASE WHEN action = 'REJECT' THEN first_seen END) AS first_seen,
    MAX(CASE WHEN action = 'REJECT' THEN last_seen END) AS last_seen
  FROM legs
  GROUP BY interface_id, protocol, client, server, server_port, client_port
),
facing AS (
  -- What is not known otherwise: a request that was refused has no reply, so the way that was only accepted is the request's.
  SELECT *, CASE WHEN known_by = 'none' AND there_accepted = 0 AND there_rejected > 0 AND back_accepted > 0 AND back_rejected = 0 THEN 1 ELSE 0 END AS swap
  FROM connections
),
judged_connections AS (
  SELECT
    interface_id, protocol,
    CASE WHEN swap = 1 THEN server ELSE client END AS client,
    CASE WHEN swap = 1 THEN client ELSE server END AS server,
    CASE WHEN swap = 1 THEN client_port ELSE server_port END AS server_port,
    CASE WHEN swap = 1 THEN there_direction ELSE back_direction END AS reply_direction,
    CASE WHEN swap = 1 THEN there_rejected ELSE back_rejected END AS rejected,
    CASE WHEN swap = 1 THEN there_accepted ELSE back_accepted END AS passed,
    CASE WHEN swap = 1 THEN back_accepted ELSE there_accepted END AS requested,
    CASE WHEN protocol NOT IN (6, 17, 132) OR asked = 1 OR answer_rejected = 1 THEN 1 ELSE 0 END AS sure,
    CASE WHEN protocol = 6 AND flagless = 0 AND asked = 0 AND answer_rejected = 0 THEN 1 ELSE 0 END AS remnant,
    began, first_seen, last_seen
  FROM facing
),
marked AS (
  SELECT
    *,
    CASE WHEN requested > 0 AND rejected > 0 AND passed = 0 AND remnant = 0 THEN 1 ELSE 0 END AS is_dead,
    CASE WHEN requested > 0 AND passed > 0 THEN 1 ELSE 0 END AS is_answered
  FROM judged_connections
),
since AS (
  SELECT
    *,
    MIN(CASE WHEN is_dead = 1 THEN began END) OVER (PARTITION BY interface_id, protocol, client) AS client_since,
    MIN(CASE WHEN is_dead = 1 THEN began END) OVER (PARTITION BY interface_id, protocol, server, server_port) AS server_since
  FROM marked
),
pairs AS (
  SELECT
    interface_id, client, server, protocol, server_port,
    MAX(CASE WHEN rejected > 0 THEN reply_direction END) AS reply_direction,
    SUM(CASE WHEN requested > 0 AND rejected > 0 THEN 1 ELSE 0 END) AS connections,
    SUM(is_dead) AS dead,
    SUM(is_dead * sure) AS proven,
    SUM(CASE WHEN began >= client_since THEN is_answered ELSE 0 END) AS answered_client,
    SUM(CASE WHEN began >= server_since THEN is_answered ELSE 0 END) AS answered_server,
    SUM(CASE WHEN requested > 0 AND rejected > 0 THEN rejected ELSE 0 END) AS replies_rejected,
    SUM(CASE WHEN requested > 0 AND rejected > 0 THEN passed ELSE 0 END) AS replies_accepted,
    MIN(CASE WHEN requested > 0 AND rejected > 0 THEN first_seen END) AS first_seen,
    MAX(CASE WHEN requested > 0 AND rejected > 0 THEN last_seen END) AS last_seen
  FROM since
  GROUP BY interface_id, client, server, protocol, server_port
),
summed AS (
  SELECT
    *,
    SUM(dead) OVER (PARTITION BY interface_id, protocol, client) AS client_dead,
    SUM(answered_client) OVER (PARTITION BY interface_id, protocol, client) AS client_answered,
    SUM(dead) OVER (PARTITION BY interface_id, protocol, server, server_port) AS server_dead,
    SUM(answered_server) OVER (PARTITION BY interface_id, protocol, server, server_port) AS server_answered
  FROM pairs
)
SELECT
  interface_id, client, server, protocol, server_port, reply_direction,
  CAST(connections AS bigint) AS connections,
  CAST(dead AS bigint) AS dead,
  CAST(proven AS bigint) AS proven,
  CAST(replies_rejected AS bigint) AS replies_rejected,
  CAST(replies_accepted AS bigint) AS replies_accepted,
  CAST(client_dead AS bigint) AS client_dead,
  CAST(client_answered AS bigint) AS client_answered,
  CAST(server_dead AS bigint) AS server_dead,
  CAST(server_answered AS bigint) AS server_answered,
  first_seen, last_seen
FROM summed
WHERE connections > 0
ORDER BY replies_rejected DESC, interface_id, client, server, protocol, server_port
LIMIT :limit
