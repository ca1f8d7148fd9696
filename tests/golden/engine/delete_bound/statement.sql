-- $1: organization as int4 (plain)
-- $2: ["A", "C"] as text[]
WITH written AS (
  DELETE FROM "public"."app_1_orders" AS t0
  WHERE t0."organization_id" = $1::int4 AND (t0."orderId" = ANY ($2::text[]))
  RETURNING t0.*
)
SELECT coalesce(json_agg(row_to_json(written)), '[]'::json) FROM written;

-- $1: StepRows steps: (0) as json (plain)
-- $2: StepCount steps: (0) as int8 (plain)
-- $3: organization as int4 (plain)
WITH written AS (
  SELECT * FROM json_populate_recordset(NULL::"public"."app_1_orders", $1::json)
)
SELECT (SELECT row_to_json(t4) FROM (SELECT $2::int8 AS "affected_rows", (SELECT coalesce(json_agg(row_to_json(t3)), '[]'::json) FROM (
  SELECT t0."id" AS "id", (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
    SELECT t1."id" AS "id"
    FROM (SELECT * FROM "public"."app_1_messages" WHERE "organization_id" = $3::int4) AS t1
    WHERE t1."order_id" = t0."id" AND t1."organization_id" = t0."organization_id"
  ) AS t2) AS "messages"
  FROM written AS t0
) AS t3) AS "returning") AS t4);

-- $1: organization as int4 (plain)
-- $2: 4 as int4
WITH written AS (
  DELETE FROM "public"."app_1_orders" AS t0
  WHERE t0."organization_id" = $1::int4 AND (t0."id" = $2::int4)
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t2) FROM (
  SELECT t1."id" AS "id"
  FROM written AS t1 LIMIT 1
) AS t2);

-- $1: organization as int4 (plain)
-- $2: 2 as int4
WITH written AS (
  DELETE FROM "public"."app_1_orders" AS t0
  WHERE t0."organization_id" = $1::int4 AND (t0."id" = $2::int4)
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t2) FROM (
  SELECT t1."id" AS "id", t1."orderId" AS "orderId"
  FROM written AS t1 LIMIT 1
) AS t2);
