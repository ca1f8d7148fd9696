-- $1: $rows[].id as int4[]
-- $2: $rows[].orderId as text[]
-- $3: organization as int4 (plain)
-- $4: $rows[].status as text[]
-- $5: $rows[].total as numeric[]
-- $6: "new" as text
WITH written AS (
  INSERT INTO "public"."app_1_orders" AS t0 ("id", "orderId", "organization_id", "status", "total")
  SELECT u.c0, u.c1, $3::int4, u.c2, u.c3
  FROM unnest($1::int4[], $2::text[], $4::text[], $5::numeric[]) AS u (c0, c1, c2, c3)
  ON CONFLICT ON CONSTRAINT "orders_orderId_org" DO UPDATE SET "status" = EXCLUDED."status", "total" = EXCLUDED."total"
    WHERE t0."organization_id" = $3::int4 AND (t0."status" = $6::text)
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t3) FROM (SELECT (SELECT count(*) FROM written) AS "affected_rows", (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
  SELECT t1."id" AS "id", t1."orderId" AS "orderId", t1."status" AS "status", t1."total" AS "total"
  FROM written AS t1
) AS t2) AS "returning") AS t3);
