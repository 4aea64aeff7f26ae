-- How many paths each two sources share; a source with itself is its own number.
with
  places as (select unnest($sources) as source, generate_subscripts($sources, 1) as place),
  paths as (
    select distinct question_id, path, place
    from (select question_id, source, path_of_key as path, right_answer, bad_equation from verdicts)
    join places using (source)
    where right_answer and not bad_equation and path is not null
  ),
  pairs as (
    select a.place as a, b.place as b, count(*) as shared
    from paths as a join paths as b using (question_id, path)
    group by all
  )
select x.source as a, y.source as b, coalesce(shared, 0) as shared
from places as x cross join places as y left join pairs on a = x.place and b = y.place
order by x.place, y.place
