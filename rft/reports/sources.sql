-- What each source brings: its own paths, those only it has, and those that are new after the sources before it.
with
  places as (select unnest($sources) as source, generate_subscripts($sources, 1) as place),
  paths as (
    select distinct question_id, path, place, source
    from (select question_id, source, path_of_key as path, right_answer, bad_equation from verdicts)
    join places using (source)
    where right_answer and not bad_equation and path is not null
  ),
  known as (select question_id, path, count(*) as sources, min(place) as first_place from paths group by all),
  counted as (
    select
      place,
      count(*) as own,
      count(*) filter (sources = 1) as "only",
      count(*) filter (first_place = place) as added
    from paths join known using (question_id, path)
    group by place
  ),
  graded as (
    select
      source,
      count(*) as draws,
      sum(right_answer::bigint) as right_answers,
      count(*) filter (right_answer and not bad_equation) as accepted
    from verdicts
    group by source
  )
select
  source,
  coalesce(draws, 0) as draws,
  coalesce(right_answers, 0) as right_answers,
  coalesce(accepted, 0) as accepted,
  coalesce(own, 0) as own,
  coalesce(counted."only", 0) as "only",
  coalesce(added, 0) as added
from places left join graded using (source) left join counted using (place)
order by place
