-- question: Where and when were records lost?
-- fields: interface_id start end log_status
-- column interface_id: str | interface
-- column records: int | SKIPDATA records; each stands for any number of lost ones
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
SELECT interface_id, COUNT(*) AS records, MIN("start") AS first_seen, MAX("end") AS last_seen
FROM flows
WHERE log_status = 'SKIPDATA'
GROUP BY interface_id
ORDER BY records DESC, interface_id
