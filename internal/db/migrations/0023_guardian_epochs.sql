-- The number after an attempt's epoch is its guardian's: newer than the attempt,
-- older than everything that is drawn later.
alter sequence epochs increment by 2;
