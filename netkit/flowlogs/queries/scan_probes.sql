-- question: What did one source try, and when?
-- param source: address | the source address
-- param limit: int = 20000 | rows at most
-- fields: srcaddr dstaddr dstport protocol packets start action log_status
-- column start: int | Unix seconds
-- column srcaddr: str | source address
-- column dstaddr: str | destination address
-- column dstport: int | destination port
-- column protocol: int | IANA protocol number
-- column action: str | ACCEPT or REJECT
-- column packets: int | packets
SELECT "start", srcaddr, dstaddr, dstport, protocol, action, packets
FROM flows
WHERE log_status = 'OK' AND srcaddr = :source
ORDER BY "start", dstaddr, dstport, protocol, action, packets
LIMIT :limit
