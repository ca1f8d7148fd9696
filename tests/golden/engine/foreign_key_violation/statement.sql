-- $1: "planted" as text
-- $2: 4 as int4
-- $3: 1 as int4 (own organization or null)
WITH written AS (
  INSERT INTO "public"."app_1_messages" AS t0 ("content", "order_id", "organization_id")
  VALUES ($1::text, $2::int4, $3::int4)
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t2) FROM (
  SELECT t1."id" AS "id"
  FROM written AS t1 LIMIT 1
) AS t2);
