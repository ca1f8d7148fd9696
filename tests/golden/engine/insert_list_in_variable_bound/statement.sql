-- $1: $rows[].customer_id as int4[]
-- $2: $rows[].details as jsonb[]
-- $3: $rows[].orderId as text[]
-- $4: $rows[].organization_id as int4[] (own organization or null)
-- $5: $rows[].tags as text[][]
-- $6: $rows[].total as numeric[]
WITH written AS (
  INSERT INTO "public"."app_1_orders" AS t0 ("customer_id", "details", "orderId", "organization_id", "tags", "total")
  SELECT u.c0, u.c1, u.c2, u.c3, u.c4::text[], u.c5
  FROM unnest($1::int4[], $2::jsonb[], $3::text[], $4::int4[], $5::text[], $6::numeric[]) AS u (c0, c1, c2, c3, c4, c5)
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t3) FROM (SELECT (SELECT count(*) FROM written) AS "affected_rows", (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
  SELECT t1."orderId" AS "orderId", t1."organization_id" AS "organization_id", t1."total" AS "total", t1."tags" AS "tags", t1."details" AS "details", t1."customer_id" AS "customer_id"
  FROM written AS t1
) AS t2) AS "returning") AS t3);
