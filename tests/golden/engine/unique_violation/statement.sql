-- $1: "A" as text
-- $2: organization as int4 (plain)
WITH written AS (
  INSERT INTO "public"."app_1_orders" AS t0 ("orderId", "organization_id")
  VALUES ($1::text, $2::int4)
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t2) FROM (SELECT (SELECT count(*) FROM written) AS "affected_rows") AS t2);
