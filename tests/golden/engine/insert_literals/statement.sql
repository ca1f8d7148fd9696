-- $1: 7 as int4
-- $2: "Eve" as text
-- $3: 3 as int4
-- $4: 8 as int4
WITH written AS (
  INSERT INTO "public"."app_1_customers" AS t0 ("id", "name", "organization_id")
  VALUES ($1::int4, $2::text, $3::int4),
    ($4::int4, DEFAULT, $3::int4)
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t3) FROM (SELECT (SELECT count(*) FROM written) AS "affected_rows", (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
  SELECT t1."id" AS "id", t1."name" AS "name"
  FROM written AS t1
) AS t2) AS "returning") AS t3);

-- $1: 9 as int4
-- $2: null as text
-- $3: 3 as int4
WITH written AS (
  INSERT INTO "public"."app_1_customers" AS t0 ("id", "name", "organization_id")
  VALUES ($1::int4, $2::text, $3::int4)
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t2) FROM (
  SELECT t1."id" AS "id", t1."name" AS "name"
  FROM written AS t1 LIMIT 1
) AS t2);
