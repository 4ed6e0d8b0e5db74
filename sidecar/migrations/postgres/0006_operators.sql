-- The roles in which a measure was laid: whoever may only tighten lifts what their own roles have laid. Empty for
-- what only security lifts, and so for everything that was laid before.
ALTER TABLE standing ADD COLUMN set_as TEXT NOT NULL DEFAULT '';
