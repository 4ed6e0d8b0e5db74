-- What laptops warn of, to be counted and shown: a JSON array of texts; null: nothing.
ALTER TABLE fleet_devices ADD COLUMN warnings TEXT;
ALTER TABLE fleet_devices ADD COLUMN problem TEXT; -- why the last sync failed, in the laptop's words
