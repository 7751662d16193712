-- The demo's database as a young application leaves it: no keys, no secondary indexes, types chosen in a hurry.

CREATE TABLE airlines (carrier text, name varchar(255));

CREATE TABLE airports (
    faa text, name varchar(255), lat double precision, lon double precision, alt integer, tz integer, dst char(1), tzone varchar(255)
);

CREATE TABLE planes (
    tailnum text, year integer, type varchar(255), manufacturer varchar(255), model varchar(255),
    engines integer, seats integer, speed integer, engine varchar(255)
);

CREATE TABLE weather (
    origin text, year integer, month integer, day integer, hour integer, temp double precision, dewp double precision,
    humid double precision, wind_dir integer, wind_speed double precision, wind_gust double precision,
    precip double precision, pressure double precision, visib double precision, time_hour timestamptz
);

CREATE TABLE flights (
    year integer, month integer, day integer, dep_time integer, sched_dep_time integer, dep_delay integer,
    arr_time integer, sched_arr_time integer, arr_delay integer, carrier text, flight integer, tailnum text,
    origin text, dest text, air_time integer, distance integer, hour integer, minute integer, time_hour timestamptz
);

-- What the booking side added on top: ids from sequences that nobody declared as keys, money as floating point.
CREATE TABLE passengers (
    id serial, full_name varchar(255), email varchar(255), phone varchar(255), created_at timestamptz DEFAULT now()
);

CREATE TABLE bookings (
    id serial, passenger_id integer, carrier text, flight integer, time_hour timestamptz, seat varchar(255),
    fare double precision, status varchar(255) DEFAULT 'booked', booked_at timestamptz DEFAULT now()
);
