-- $1: 1 as int4
-- $2: 10 as int4
-- $3: organization as int4 (plain)
-- $4: 2 as int4
-- $5: 11 as int4
WITH written AS (
  INSERT INTO "public"."books" AS t0 ("author_id", "id", "organization_id")
  VALUES ($1::int4, $2::int4, $3::int4),
    ($4::int4, $5::int4, $3::int4)
  RETURNING t0.*
)
SELECT coalesce(json_agg(row_to_json(written)), '[]'::json) FROM written;

-- $1: StepRows steps: (0) as json (plain)
-- $2: organization as int4 (plain)
SELECT EXISTS (
  SELECT FROM (SELECT * FROM json_populate_recordset(NULL::"public"."books", $1::json)) AS t0
  WHERE t0."author_id" IS NOT NULL AND NOT EXISTS (SELECT FROM (SELECT * FROM "public"."authors" WHERE "organization_id" = $2::int4) AS t1 WHERE t1."id" = t0."author_id")
);

-- $1: StepRows steps: (0) as json (plain)
-- $2: StepCount steps: (0) as int8 (plain)
WITH written AS (
  SELECT * FROM json_populate_recordset(NULL::"public"."books", $1::json)
)
SELECT (SELECT row_to_json(t1) FROM (SELECT $2::int8 AS "affected_rows") AS t1);
