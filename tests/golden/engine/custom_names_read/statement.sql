-- $1: [red, deep_blue] as text[]
-- $2: $w.fullName._neq as text
-- $3: $w.books.color._eq as text
SELECT (SELECT coalesce(json_agg(row_to_json(t4)), '[]'::json) FROM (
  SELECT DISTINCT ON (t0."full 'name'") t0."full 'name'" AS "fullName", t0."ccccccccccccccccccccccccccccccccccccccccééééééééééé" AS "long", (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
    SELECT t1."color" AS "color", 'books'::text AS "__typename"
    FROM "public"."books" AS t1
    WHERE t1."writer id" = t0."id" AND (t1."color" = ANY ($1::text[]))
  ) AS t2) AS "books"
  FROM "public"."wri""ters é" AS t0
  WHERE (t0."full 'name'" <> $2::text) AND EXISTS (SELECT FROM "public"."books" AS t3 WHERE t3."writer id" = t0."id" AND (t3."color" = $3::text))
  ORDER BY t0."full 'name'" DESC NULLS FIRST
) AS t4) AS f0;
