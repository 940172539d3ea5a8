# What differs from run to run, machine to machine and version to version, replaced: times, sums, ids, keys, addresses and counts of what
# Charter itself has.
s/[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+Z?/<time>/g
s/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/<id>/g
s/\(sha256 [0-9a-f]+\.\.\.\)/(sha256 <sum>)/
s/chs_live_[0-9A-Za-z_-]+/<key>/g
s#http://(127\.0\.0\.1|localhost):[0-9]+#<service>#g
s/^  [0-9]+ MiB free, .*$/  <room, or version>/
s/^  PostgreSQL [0-9].*$/  <room, or version>/
/^  [0-9]+ transactions there have been open for more than/d
/^  Charter's database is$/{N;s/\n +/ /}
s#^(  Charter's database is ).*$#\1<address>#
/^  in its schema charter$/d
s/[0-9]+ tables of Charter/<n> tables of Charter/
s/^(  schema +done +)[0-9]+ tables/\1<n> tables/
s/[0-9]+ users x permissions/<n> users x permissions/
s/[0-9]+ organizations x modules/<n> organizations x modules/
s/"revision": ?[0-9]+/"revision": <n>/
s/^(role_column in ).*$/\1<engine>/
s/^(fingerprint +)[0-9a-f]+/\1<sum>/
s/for [0-9]+ s of 3 days/for <n> s of 3 days/
s/answers differed [0-9]+ s ago/answers differed <n> s ago/
s/[0-9]+ of 1000 answers were compared without a difference \(pairs of user and permission: [0-9]+\)/<n> of 1000 answers were compared without a difference (pairs of user and permission: <n>)/
s/answers compared: [0-9]+, pairs of user and permission: [0-9]+/answers compared: <n>, pairs of user and permission: <n>/
s/; the other system gave no answer to [0-9]+ of [0-9]+ checks: at most one in 100 may be left without//
s/^[0-9]{4}_[a-z_]+ (would be undone|undone|applied)$/<migration> \1/
s/^( +)public\.users:/\1users:/
