-- The day (UTC) of a UUIDv7: its first 48 bits are milliseconds.
CREATE FUNCTION uuid_v7_day(id uuid) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000) AT TIME ZONE 'UTC')::date
$$;
--> statement-breakpoint
DROP FUNCTION ensure_day_partitions(date, date);
--> statement-breakpoint
-- Makes the partition of one table and one day unless it is there; says whether it did. It is made apart and attached:
-- CREATE TABLE ... PARTITION OF locks out everybody who reads or writes the parent, and waits for all of them first, a
-- backup of an hour included. Attaching lets the parent be read and written; only the default partition is locked, and
-- rows that found no other place there move along. One table in a transaction: nobody who holds one waits for another.
CREATE FUNCTION ensure_day_partition(parent text, day date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  partition text := parent || to_char(day, '_YYYYMMDD');
  first uuid := uuid_v7_floor(day);
  next uuid := uuid_v7_floor(day + 1);
BEGIN
  IF to_regclass(partition) IS NOT NULL THEN
    RETURN false;
  END IF;
  -- One at a time, parent before partition as everybody locks them.
  EXECUTE format('LOCK TABLE ONLY %I IN SHARE UPDATE EXCLUSIVE MODE', parent);
  IF to_regclass(partition) IS NOT NULL THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', partition, parent);
  EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', parent || '_default');
  EXECUTE format('WITH moved AS (DELETE FROM %I WHERE id >= $1 AND id < $2 RETURNING *) INSERT INTO %I SELECT * FROM moved',
    parent || '_default', partition) USING first, next;
  EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, partition, first, next);
  RETURN true;
END $$;
