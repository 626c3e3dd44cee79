-- The new column, then its values from the other table. As one statement the UPDATE would run for
-- minutes on a big table, and from the start again whenever its container is killed. In batches it
-- goes on where it stopped.
ALTER TABLE some_table ADD COLUMN new_column bigint;

-- lockkeeper: batch
UPDATE some_table SET new_column =
  (SELECT refered_column FROM refered_table WHERE some_table.id = refered_table.some_id);
