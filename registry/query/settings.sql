-- Each score of a model that is an artifact, with what the model is made of, in the terms of published_scores.
-- Joins with that by base, setting, k and share.
create view settings as
with recursive
  things as (select *, name || '@' || if(version = 0, 'dev', version::varchar) as id from artifacts),
  given as (select i.name || '@' || if(i.version = 0, 'dev', i.version::varchar) as id, i.position, i.input from inputs as i),
  told as (select p.name || '@' || if(p.version = 0, 'dev', p.version::varchar) as id, param, value from params as p),
  models as (
    select m.id, m.name, m.version, max(b.id) as base, max(d.id) as data, max(d.rows_are) as trained_on
    from things as m
    left join given on given.id = m.id
    left join things as b on b.id = given.input and b.kind = 'model'
    left join things as d on d.id = given.input and d.kind = 'dataset'
    where m.kind = 'model'
    group by all
  ),
  above as ( -- what a training set was made of, up to the models that wrote samples of it
    select data as data, data as id from models
    where base is not null and data is not null
    union
    select above.data, given.input from above join given using (id) join things using (id)
    where things.kind <> 'model'
  ),
  made as (
    select
      above.data,
      count(distinct above.id) filter (things.kind = 'model') as writers,
      sum(try_cast(told.value as bigint)) filter (told.param = 'k' and things.rows_are = 'SAMPLES') as k,
      product(1.0 / try_cast(told.value as double)) filter (told.param = 'denominator' and part.value = 'in') as share
    from above
    left join things using (id)
    left join told on told.id = above.id and told.param in ('k', 'denominator')
    left join told as part on part.id = above.id and part.param = 'part'
    group by above.data
  ),
  scored as ( -- how the scored samples were drawn: of the samples that an eval read
    select
      given.id,
      max(try_cast(told.value as double)) filter (told.param = 'temperature') as temperature,
      max(try_cast(told.value as bigint)) filter (told.param = 'shots') as shots
    from given join things on things.id = given.input and things.rows_are = 'SAMPLES' join told on told.id = things.id
    group by given.id
  )
select
  models.name,
  models.version,
  split_part(coalesce(models.base, models.id), '@', 1) as base,
  case
    when models.base is null then 'icl'
    when models.trained_on = 'QUESTIONS' then 'sft'
    when chosen.value = 'all' then 'rft-no-dedup'
    when chosen.value = 'random_rows' then 'rft-random-rows'
    when made.writers <= 1 then 'rft'
    else 'rft-' || coalesce(nullif(regexp_extract(models.data, 'u[0-9]+b'), ''), 'union')
  end as setting,
  if(models.base is null, null, models.data) as data,
  if(models.trained_on = 'TRAINING', made.k, null) as k,
  if(models.base is null, null, coalesce(made.share, 1.0)) as share,
  try_cast(seed.value as bigint) as seed,
  if(models.base is null, null, try_cast(epochs.value as double)) as epochs,
  try_cast(loss.value as double) as loss,
  scores.dataset,
  scores.metric,
  scores.value,
  scores.low,
  scores.high,
  scores.n,
  scored.temperature,
  scored.shots
from models
join scores on scores.model = models.id
left join made using (data)
left join scored on scored.id = scores.name || '@' || if(scores.version = 0, 'dev', scores.version::varchar)
left join told as seed on seed.id = models.id and seed.param = 'seed' and models.base is not null
left join told as epochs on epochs.id = models.id and epochs.param = 'epochs'
left join told as chosen on chosen.id = models.data and chosen.param = 'select'
left join facts as loss on loss.name = models.name and loss.version = models.version and loss.fact = 'loss'
