-- $1: organization as int4 (plain)
-- $2: 1 as int4
-- $3: "one" as text
WITH written AS (
  UPDATE "public"."app_1_orders" AS t0
  SET "status" = $3::text
  WHERE t0."organization_id" = $1::int4 AND (t0."id" = $2::int4)
  RETURNING t0.*
)
SELECT coalesce(json_agg(row_to_json(written)), '[]'::json) FROM written;

-- $1: organization as int4 (plain)
-- $2: "one" as text
-- $3: ["size", "w"] as text[]
-- $4: "two" as text
WITH written AS (
  UPDATE "public"."app_1_orders" AS t0
  SET "details" = t0."details" #- $3::text[], "status" = $4::text
  WHERE t0."organization_id" = $1::int4 AND (t0."status" = $2::text)
  RETURNING t0.*
)
SELECT coalesce(json_agg(row_to_json(written)), '[]'::json) FROM written;

-- $1: StepRows steps: (0) as json (plain)
-- $2: StepCount steps: (0) as int8 (plain)
WITH written AS (
  SELECT * FROM json_populate_recordset(NULL::"public"."app_1_orders", $1::json)
)
SELECT (SELECT row_to_json(t2) FROM (SELECT $2::int8 AS "affected_rows", (SELECT coalesce(json_agg(row_to_json(t1)), '[]'::json) FROM (
  SELECT t0."id" AS "id", t0."status" AS "status", t0."details" AS "details"
  FROM written AS t0
) AS t1) AS "returning") AS t2);

-- $1: StepRows steps: (1) as json (plain)
-- $2: StepCount steps: (1) as int8 (plain)
WITH written AS (
  SELECT * FROM json_populate_recordset(NULL::"public"."app_1_orders", $1::json)
)
SELECT (SELECT row_to_json(t2) FROM (SELECT $2::int8 AS "affected_rows", (SELECT coalesce(json_agg(row_to_json(t1)), '[]'::json) FROM (
  SELECT t0."id" AS "id", t0."status" AS "status", t0."details" AS "details"
  FROM written AS t0
) AS t1) AS "returning") AS t2);

-- $1: StepRows as json (plain)
-- $2: StepCount as int8 (plain)
WITH written AS (
  SELECT * FROM json_populate_recordset(NULL::"public"."app_1_orders", $1::json)
)
SELECT (SELECT row_to_json(t2) FROM (SELECT $2::int8 AS "affected_rows", (SELECT coalesce(json_agg(row_to_json(t1)), '[]'::json) FROM (
  SELECT t0."id" AS "id", t0."status" AS "status", t0."details" AS "details"
  FROM written AS t0
) AS t1) AS "returning") AS t2);
