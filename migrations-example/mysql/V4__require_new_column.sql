-- Only the new release writes the column, so this waits until the old one is gone.
-- lockkeeper: phase=contract
ALTER TABLE some_table MODIFY new_column bigint NOT NULL;
