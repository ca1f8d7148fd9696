-- $1: organization as int4 (plain)
-- $2: cursor as timestamptz (plain)
-- $3: $body as text
-- $4: $size as int4 (limit)
WITH batch AS MATERIALIZED (
  SELECT given.number, given.p0::timestamptz AS p0, given.p1::text AS p1, given.p2::int4 AS p2
  FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS given (p0, p1, p2, number)
)
SELECT batch.number,
(SELECT ARRAY[coalesce(json_agg(t1.row), '[]'::json)::text, (array_agg(t1.cursor))[count(*)]] FROM (
  SELECT (SELECT row_to_json(t2) FROM (SELECT t0."id" AS "id", t0."at" AS "at") AS t2) AS "row", t0."at"::text AS "cursor"
  FROM (SELECT * FROM "public"."notes" WHERE "organization_id" = $1::int4 OFFSET 0) AS t0
  WHERE (t0."at" > batch.p0::timestamptz) AND (t0."body" LIKE (SELECT batch.p1::text)::text)
  ORDER BY t0."at" ASC NULLS LAST
  FETCH FIRST (batch.p2::int4) ROWS WITH TIES
) AS t1) AS f0
FROM batch;
