# Makes the repository of the example: playground/origin.git and a clone of it, playground/clone.
# Run from the workspace, by `orchestr run`; a clone that is there is left as it is.
set -eu
mkdir -p playground
cd playground
[ -d origin.git ] || git init -q --bare -b main origin.git
rm -rf clone.new
git init -q -b main clone.new
cd clone.new
git remote add origin "$(cd ../origin.git && pwd)"
echo "# A repository to play with" > README.md
printf 'test:\n\ttest -s README.md\n' > Makefile
git add -A
git -c user.name=orchestr -c user.email=orchestr@example.invalid -c commit.gpgSign=false commit -q -m "Start"
git push -q origin +main
git fetch -q origin
git remote set-head origin main
cd ..
mv clone.new clone
