-- $1: organization as int4 (plain)
-- $2: $mine as int4
-- $3: $theirs as int4
SELECT (SELECT row_to_json(t1) FROM (
  SELECT t0."id" AS "id", t0."organization_id" AS "organization_id"
  FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $1::int4) AS t0
  WHERE (t0."id" = $2::int4)
) AS t1) AS f0,
(SELECT row_to_json(t3) FROM (
  SELECT t2."id" AS "id", t2."organization_id" AS "organization_id"
  FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $1::int4) AS t2
  WHERE (t2."id" = $3::int4)
) AS t3) AS f1;
