-- $1: organization as int4 (plain)
-- $2: "A" as text
-- $3: {done: true} as jsonb
-- $4: 2 as numeric
WITH written AS (
  UPDATE "public"."app_1_orders" AS t0
  SET "details" = t0."details" || $3::jsonb, "total" = t0."total" + $4::numeric
  WHERE t0."organization_id" = $1::int4 AND (t0."orderId" = $2::text)
  RETURNING t0.*
)
SELECT coalesce(json_agg(row_to_json(written)), '[]'::json) FROM written;

-- $1: StepRows steps: (0) as json (plain)
-- $2: StepCount steps: (0) as int8 (plain)
-- $3: organization as int4 (plain)
WITH written AS (
  SELECT * FROM json_populate_recordset(NULL::"public"."app_1_orders", $1::json)
)
SELECT (SELECT row_to_json(t7) FROM (SELECT $2::int8 AS "affected_rows", (SELECT coalesce(json_agg(row_to_json(t6)), '[]'::json) FROM (
  SELECT t0."id" AS "id", t0."total" AS "total", t0."details" AS "details", (SELECT (SELECT row_to_json(t5) FROM (SELECT (SELECT row_to_json(t4) FROM (SELECT t3.v0 AS "count") AS t4) AS "aggregate") AS t5) FROM (
    SELECT count(*) AS v0
    FROM (
      SELECT 
      FROM (SELECT * FROM "public"."app_1_messages" WHERE "organization_id" = $3::int4) AS t1
      WHERE t1."order_id" = t0."id" AND t1."organization_id" = t0."organization_id"
    ) AS t2
  ) AS t3) AS "messages_aggregate"
  FROM written AS t0
) AS t6) AS "returning") AS t7);

-- $1: organization as int4 (plain)
-- $2: $id as int4
-- $3: "stolen" as text
WITH written AS (
  UPDATE "public"."app_1_orders" AS t0
  SET "status" = $3::text
  WHERE t0."organization_id" = $1::int4 AND (t0."id" = $2::int4)
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t2) FROM (
  SELECT t1."id" AS "id"
  FROM written AS t1 LIMIT 1
) AS t2);

-- $1: organization as int4 (plain)
-- $2: 2 as int4
-- $3: "colour" as text
-- $4: ["p", "q"] as text[]
WITH written AS (
  UPDATE "public"."app_1_orders" AS t0
  SET "details" = t0."details" - $3::text, "tags" = $4::text::text[]
  WHERE t0."organization_id" = $1::int4 AND (t0."id" = $2::int4)
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t2) FROM (
  SELECT t1."id" AS "id", t1."details" AS "details", t1."tags" AS "tags"
  FROM written AS t1 LIMIT 1
) AS t2);
