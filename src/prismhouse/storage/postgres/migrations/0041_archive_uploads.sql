-- Where a file is staged stands in archive_uploads; nobody read it here.
ALTER TABLE extractor_submissions DROP COLUMN s3_key;

-- Nobody asks for uploads in the order in which they began; the sweep asks for those it looked at longest ago.
DROP INDEX archive_uploads_in_order;
CREATE INDEX archive_uploads_to_forget ON archive_uploads (updated_at) WHERE status = 'PENDING';
