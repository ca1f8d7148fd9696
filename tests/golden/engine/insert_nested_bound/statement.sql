-- $1: 50 as int4
-- $2: "Kay" as text
-- $3: organization as int4 (plain)
WITH written AS (
  INSERT INTO "public"."app_1_customers" AS t0 ("id", "name", "organization_id")
  VALUES ($1::int4, $2::text, $3::int4)
  RETURNING t0.*
)
SELECT coalesce(json_agg(row_to_json(written)), '[]'::json) FROM written;

-- $1: StepValue step: 0, column: id as int4
-- $2: "N" as text
-- $3: organization as int4 (plain)
WITH written AS (
  INSERT INTO "public"."app_1_orders" AS t0 ("customer_id", "orderId", "organization_id")
  VALUES ($1::int4, $2::text, $3::int4)
  RETURNING t0.*
)
SELECT coalesce(json_agg(row_to_json(written)), '[]'::json) FROM written;

-- $1: $messages[].content as text[]
-- $2: StepValue step: 1, column: id as int4
-- $3: organization as int4 (plain)
WITH written AS (
  INSERT INTO "public"."app_1_messages" AS t0 ("content", "order_id", "organization_id")
  SELECT u.c0, $2::int4, $3::int4
  FROM unnest($1::text[]) AS u (c0)
  RETURNING t0.*
)
SELECT coalesce(json_agg(row_to_json(written)), '[]'::json) FROM written;

-- $1: StepRows steps: (1) as json (plain)
-- $2: organization as int4 (plain)
WITH written AS (
  SELECT * FROM json_populate_recordset(NULL::"public"."app_1_orders", $1::json)
)
SELECT (SELECT row_to_json(t5) FROM (
  SELECT t0."orderId" AS "orderId", t0."organization_id" AS "organization_id", (SELECT row_to_json(t2) FROM (
    SELECT t1."id" AS "id", t1."organization_id" AS "organization_id"
    FROM (SELECT * FROM "public"."app_1_customers" WHERE "organization_id" = $2::int4) AS t1
    WHERE t1."id" = t0."customer_id" AND t1."organization_id" = t0."organization_id"
  ) AS t2) AS "customer", (SELECT coalesce(json_agg(row_to_json(t4)), '[]'::json) FROM (
    SELECT t3."content" AS "content", t3."organization_id" AS "organization_id"
    FROM (SELECT * FROM "public"."app_1_messages" WHERE "organization_id" = $2::int4) AS t3
    WHERE t3."order_id" = t0."id" AND t3."organization_id" = t0."organization_id"
    ORDER BY t3."id" ASC NULLS LAST
  ) AS t4) AS "messages"
  FROM written AS t0 LIMIT 1
) AS t5);
