-- $1: $rows[].orderId as text[]
-- $2: $rows[].organization_id as int4[] (own organization or null)
WITH written AS (
  INSERT INTO "public"."app_1_orders" AS t0 ("orderId", "organization_id")
  SELECT u.c0, u.c1
  FROM unnest($1::text[], $2::int4[]) AS u (c0, c1)
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t2) FROM (SELECT (SELECT count(*) FROM written) AS "affected_rows") AS t2);
