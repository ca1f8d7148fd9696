-- $1: organization as int4 (plain)
-- $2: 1 as int4
SELECT EXISTS (
  SELECT FROM (SELECT * FROM "public"."authors" WHERE "organization_id" = $1::int4) AS t0
  WHERE ((t0."id" = $2::int4) AND EXISTS (SELECT FROM (SELECT * FROM "public"."books" WHERE "organization_id" IS DISTINCT FROM $1::int4) AS t1 WHERE t1."author_id" = t0."id"))
);

-- $1: organization as int4 (plain)
-- $2: 1 as int4
WITH written AS (
  DELETE FROM "public"."authors" AS t0
  WHERE t0."organization_id" = $1::int4 AND (t0."id" = $2::int4)
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t2) FROM (SELECT (SELECT count(*) FROM written) AS "affected_rows") AS t2);
