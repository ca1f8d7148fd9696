-- $1: 1 as int4
-- $2: organization as int4 (plain)
WITH RECURSIVE reached (number, keys) AS (
  SELECT 0, jsonb_build_object('id', t0."id") FROM (SELECT * FROM "public"."authors" WHERE "organization_id" = $2::int4) AS t0 WHERE (t0."id" = $1::int4)
)
SELECT EXISTS (SELECT FROM reached, (SELECT * FROM "public"."books" WHERE "organization_id" IS DISTINCT FROM $2::int4) AS t1 WHERE reached.number = 0 AND t1."author_id" = (reached.keys ->> 'id')::int4);

-- $1: organization as int4 (plain)
-- $2: 1 as int4
WITH written AS (
  DELETE FROM "public"."authors" AS t0
  WHERE t0."organization_id" = $1::int4 AND (t0."id" = $2::int4)
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t2) FROM (SELECT (SELECT count(*) FROM written) AS "affected_rows") AS t2);
