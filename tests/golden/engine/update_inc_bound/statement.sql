-- $1: organization as int4 (plain)
-- $2: $by as int4
-- $3: $price as numeric
-- $4: 1 as float8
WITH written AS (
  UPDATE "public"."stock" AS t0
  SET "amount" = t0."amount" + $2::int4, "price" = t0."price" + $3::numeric, "weight" = t0."weight" + $4::float8
  WHERE t0."organization_id" = $1::int4
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t3) FROM (SELECT (SELECT count(*) FROM written) AS "affected_rows", (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
  SELECT t1."id" AS "id", t1."amount" AS "amount", t1."price" AS "price", t1."weight" AS "weight"
  FROM written AS t1
) AS t2) AS "returning") AS t3);
