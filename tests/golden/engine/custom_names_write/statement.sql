-- $1: $rows[].long as text[]
-- $2: $rows[].fullName as text[]
-- $3: $rows[].id as int4[]
WITH written AS (
  INSERT INTO "public"."wri""ters é" AS t0 ("ccccccccccccccccccccccccccccccccccccccccééééééééééé", "full 'name'", "id")
  SELECT u.c0, u.c1, u.c2
  FROM unnest($1::text[], $2::text[], $3::int4[]) AS u (c0, c1, c2)
  ON CONFLICT ON CONSTRAINT "writer_key" DO UPDATE SET "full 'name'" = EXCLUDED."full 'name'"
    WHERE TRUE
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t3) FROM (SELECT (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
  SELECT t1."full 'name'" AS "fullName", t1."ccccccccccccccccccccccccccccccccccccccccééééééééééé" AS "long"
  FROM written AS t1
) AS t2) AS "returning") AS t3);

-- $1: "Bo" as text
-- $2: deep_blue as text
WITH written AS (
  UPDATE "public"."books" AS t0
  SET "color" = $2::text
  WHERE EXISTS (SELECT FROM "public"."wri""ters é" AS t1 WHERE t1."id" = t0."writer id" AND (t1."full 'name'" = $1::text))
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t3) FROM (SELECT (SELECT count(*) FROM written) AS "affected_rows") AS t3);
