-- $1: 1 as int4
-- $2: $more as jsonb
-- $3: [0] as jsonb
-- $4: "k" as text
-- $5: -1 as int4
-- $6: $path as text[]
WITH written AS (
  UPDATE "public"."documents" AS t0
  SET "a" = t0."a" || $2::jsonb, "b" = $3::jsonb || t0."b", "c" = t0."c" - $4::text, "d" = t0."d" - $5::int4, "e" = t0."e" #- $6::text[]
  WHERE (t0."id" = $1::int4)
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t3) FROM (SELECT (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
  SELECT t1."a" AS "a", t1."b" AS "b", t1."c" AS "c", t1."d" AS "d", t1."e" AS "e"
  FROM written AS t1
) AS t2) AS "returning") AS t3);
