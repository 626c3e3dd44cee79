-- Only the new release writes the column, so this waits until the old one is gone.
-- lockkeeper: phase=contract

-- The check is proved by a scan that blocks nobody; NOT NULL then needs no scan under its lock.
ALTER TABLE some_table ADD CONSTRAINT new_column_there CHECK (new_column IS NOT NULL) NOT VALID;
ALTER TABLE some_table VALIDATE CONSTRAINT new_column_there;
ALTER TABLE some_table ALTER COLUMN new_column SET NOT NULL;
ALTER TABLE some_table DROP CONSTRAINT new_column_there;
